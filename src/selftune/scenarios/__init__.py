"""Scenarios: what self-tuning does where conditions change, each with one command.

story = tell("education", Ask(quick=True))       what was measured, in sentences, tables and pictures
page  = write_story(story, Path("out"), "mine")  report.html and results.json; "mine": what tells it again
"""

from selftune.scenarios.catalogue import SCENARIOS, Scenario, check, tell
from selftune.scenarios.ejecting import eject
from selftune.scenarios.page import write_story
from selftune.scenarios.story import Ask, Picture, Story, Table

__all__ = ["SCENARIOS", "Ask", "Picture", "Scenario", "Story", "Table", "check", "eject", "tell", "write_story"]
