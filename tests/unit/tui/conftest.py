"""The app on a machine that may have no processor for it for a while."""

import asyncio

import pytest
from textual.app import App
from textual.pilot import Pilot

from unit.tui.scripted import WAIT_S

LONG_S = 3_600.0
TURNS = 50  # of the loop: more than a key needs from the first widget that is told of it to the last


@pytest.fixture(autouse=True)
def unhurried(monkeypatch):
    """Nothing is gone, or old, because a test came late to look; and what a test presses is done when it looks.

    Textual's pilot takes a process that uses no processor time for one that has nothing to do. One that is given
    none looks the same. So all that is due has its turns, whatever they take.
    """
    monkeypatch.setattr("orion.tui.frame.NOTE_S", LONG_S)
    for screen in ("pane", "pulses"):
        monkeypatch.setattr(f"orion.tui.screens.{screen}.OLD_S", LONG_S)
    monkeypatch.setattr(App, "NOTIFICATION_TIMEOUT", LONG_S)
    wait_for_screen = Pilot._wait_for_screen

    async def settled(pilot):
        await turns()
        done = await wait_for_screen(pilot, WAIT_S * 3)
        await turns()
        return done

    monkeypatch.setattr(Pilot, "_wait_for_screen", settled)


async def turns():
    for _ in range(TURNS):
        await asyncio.sleep(0)
