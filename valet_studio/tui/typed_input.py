"""A line of text to type into."""

from __future__ import annotations

from textual import events
from textual.widgets import Input


class TypedInput(Input):
    """An input that does what keys say in the order in which they came.

    Textual's own takes letters at once, but what it has a binding for, such as backspace, only once
    the key has gone up to the app and come back. Of keys that come in one burst the letters are
    then typed first.
    """

    async def on_key(self, event: events.Key) -> None:
        """Do what the key is bound to here, before the next key is heard."""
        if event.is_printable:
            return
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            if await self.app.run_action(binding.action, self):
                event.stop()
                event.prevent_default()
                return
