"""What self-tuning costs: protocol O, a part for each question, each row written when it is there."""
