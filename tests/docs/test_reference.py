"""The generated references name all that there is."""

import mkdocs_hooks
import sweep
from sweep.cli.parser import build_parser
from sweep.config.trial import config_keys


def test_every_command_and_option_is_in_the_reference():
    page = mkdocs_hooks.cli()
    for name, parser in mkdocs_hooks.commands_of(build_parser()):
        assert f"## sweep {name}\n" in page
        options = [
            option for action in parser._actions for option in action.option_strings if option not in ("-h", "--help")
        ]
        assert [option for option in options if option not in page] == []


def test_every_configuration_key_is_in_the_reference():
    page = mkdocs_hooks.GENERATED["keys"]()
    assert [key for key in config_keys() if key.partition(".")[2] not in page] == []


def test_every_public_name_is_in_the_reference():
    page = mkdocs_hooks.api()
    names = [name for name in sweep.__all__ if not name.startswith("_")]
    assert [name for name in names if f".{name}" not in page] == []


def test_a_mark_is_replaced_and_other_text_is_not():
    page = mkdocs_hooks.on_page_markdown("# Title\n\n<!-- generated: api -->\n\n<!-- not run: reason -->\n")
    assert "::: sweep." in page
    assert "<!-- not run: reason -->" in page
    assert "generated" not in page
