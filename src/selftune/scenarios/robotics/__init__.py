"""Robotics: the ground becomes slippery, and a trained policy must find its feet again.

course = rider(agent, HALF_CHEETAH)(known, what_happens(HALF_CHEETAH, "ice", begins), seed, updates)
"""
