"""Protocol N: agents in worlds that change, against their rivals, the best fixed setting in hindsight and an oracle."""
