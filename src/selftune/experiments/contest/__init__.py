"""What competes in a world: methods as agents, and a cell, one world under one kind of change, in which they run."""
