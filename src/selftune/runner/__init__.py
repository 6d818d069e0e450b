"""Runs: train, log, show, report."""
