"""A session on a whole terminal, by prompt_toolkit: keys in, lines out, resizes followed."""

from __future__ import annotations

from typing import Any, Final

from prompt_toolkit.application import Application
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import Layout, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from replay.teach.terminal.session import Session

# "dim" has no colour: grey on grey is unreadable on too many terminals.
COLORED: Final = {
    "title": "bold",
    "strong": "bold",
    "bad": "bold ansired",
    "good": "ansigreen",
    "new": "bold ansiyellow",
    "code": "ansicyan",
    "link": "underline",
    "bar": "reverse",
}

UNCOLORED: Final = {
    "title": "bold",
    "strong": "bold",
    "bad": "bold",
    "new": "bold",
    "link": "underline",
    "bar": "reverse",
}

NAMES: Final = {
    Keys.Up: "up",
    Keys.Down: "down",
    Keys.Left: "left",
    Keys.Right: "right",
    Keys.PageUp: "pageup",
    Keys.PageDown: "pagedown",
    Keys.Home: "home",
    Keys.End: "end",
    Keys.Enter: "enter",
    Keys.Tab: "tab",
    Keys.BackTab: "tab",
    Keys.Escape: "escape",
    Keys.Backspace: "backspace",
}


def run(session: Session, color: bool) -> None:
    """Show a session until the reader leaves.

    Raises:
        KeyboardInterrupt: the reader pressed Ctrl-C. The terminal is as it was before.

    """
    application(session, color).run()


def application(session: Session, color: bool, **extra: Any) -> Application[None]:
    """The application around a session; ``extra`` goes to prompt_toolkit."""
    control = FormattedTextControl(lambda: _text(session), focusable=True, show_cursor=False)
    app: Application[None] = Application(
        layout=Layout(Window(control, always_hide_cursor=True)),
        key_bindings=_bindings(session),
        style=Style.from_dict(COLORED if color else UNCOLORED),
        color_depth=None if color else ColorDepth.DEPTH_1_BIT,
        full_screen=True,
        **extra,
    )
    # How long an escape may be the beginning of another key: short, but a slow line is slow.
    app.ttimeoutlen = 0.1
    app.timeoutlen = 0.1
    return app


def _text(session: Session) -> StyleAndTextTuples:
    from prompt_toolkit.application import get_app

    size = get_app().output.get_size()
    made: StyleAndTextTuples = []
    for number, row in enumerate(session.screen(size.columns, size.rows)):
        if number:
            made.append(("", "\n"))
        for style, text in row:
            made.append((f"class:{style}" if style else "", text))
    return made


def _bindings(session: Session) -> KeyBindings:
    bindings = KeyBindings()

    def press(event: KeyPressEvent, name: str) -> None:
        session.key(name)
        if session.ended:
            event.app.exit()

    def bind(key: Keys, name: str) -> None:
        @bindings.add(key)
        def _(event: KeyPressEvent) -> None:
            press(event, name)

    for key, name in NAMES.items():
        bind(key, name)

    @bindings.add(Keys.Any)
    def _(event: KeyPressEvent) -> None:
        data = event.key_sequence[0].data
        if len(data) == 1 and data.isprintable():
            press(event, "space" if data == " " else data)

    @bindings.add(Keys.BracketedPaste)
    def _(event: KeyPressEvent) -> None:
        for character in event.data[:60]:
            if session.prompt and character.isprintable():
                session.key("space" if character == " " else character)

    _of_the_terminal(bindings)
    return bindings


def _of_the_terminal(bindings: KeyBindings) -> None:
    """The keys that terminals give a meaning of their own."""

    @bindings.add(Keys.ControlC)
    def _(event: KeyPressEvent) -> None:
        event.app.exit(exception=KeyboardInterrupt, style="")

    @bindings.add(Keys.ControlZ)
    def _(event: KeyPressEvent) -> None:
        event.app.suspend_to_background()

    @bindings.add(Keys.ControlL)
    def _(event: KeyPressEvent) -> None:
        event.app.renderer.clear()
