"""Settings: typed, checked, and refused with their name, type and allowed values."""

from __future__ import annotations

from typing import Any

import pytest

from featurestore.errors import FeatureStoreError, InvalidInputError, UnknownNameError
from featurestore.plugins import (
    MissingPackageError,
    Part,
    Setting,
    checked_settings,
    parse_settings,
)

SETTINGS = (
    Setting("depth", int, None, "How deep; left to the library by default."),
    Setting("rate", float, 0.1, "How fast."),
    Setting("sorted", bool, False, "Whether sorted."),
    Setting("label", str, "a", "A label."),
    Setting("pooling", str, "mean", "Which mean.", choices=("mean", "cls")),
    Setting("size", int, 2, "Which size.", choices=(2, 4)),
)


def part(**fields: Any) -> Part:
    return Part(**{"name": "toy", "summary": "A toy.", "make": lambda request: request} | fields)


PART = part(settings=SETTINGS)


def test_values_have_the_settings_types() -> None:
    given = ["depth=3", "rate=2", "sorted=yes", "label=x=y", "pooling=cls", "size=4"]
    assert parse_settings(PART, given) == {
        "depth": 3,
        "rate": 2.0,
        "sorted": True,
        "label": "x=y",
        "pooling": "cls",
        "size": 4,
    }
    assert parse_settings(PART, ["depth=none", " sorted=False"]) == {
        "depth": None,
        "sorted": False,
    }
    assert parse_settings(PART, []) == {}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("depth=deep", r"'depth' of 'toy' \(int\) takes a whole number, or none; got 'deep'"),
        ("depth=1.5", "whole number"),
        ("rate=fast", r"'rate' of 'toy' \(float\) takes a finite number; got 'fast'"),
        ("rate=nan", "finite number; got nan"),
        ("rate=none", "finite number"),
        ("sorted=2", r"\(bool\) takes true or false; got '2'"),
        ("pooling=max", r"'pooling' of 'toy' \(choice\) takes one of mean, cls; got 'max'"),
        ("size=3", "one of 2, 4; got 3"),
        ("depth", "'depth' is no setting; write NAME=VALUE"),
    ],
)
def test_a_value_that_does_not_suit_is_refused(assignment: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parse_settings(PART, [assignment])


def test_settings_that_are_unknown_or_given_twice() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown setting of 'toy': 'depht'.*'depth'"):
        parse_settings(PART, ["depht=3"])
    with pytest.raises(InvalidInputError, match="'depth' of 'toy' is given twice"):
        parse_settings(PART, ["depth=3", "depth=3"])
    with pytest.raises(InvalidInputError, match="'toy' takes no settings; got 'depth'"):
        parse_settings(part(), ["depth=3"])


def test_every_setting_has_a_value_and_python_values_are_checked_too() -> None:
    checked = checked_settings(PART, {"rate": 1})
    assert list(checked) == [setting.name for setting in SETTINGS]
    assert checked["rate"] == 1.0 and type(checked["rate"]) is float
    assert checked["depth"] is None
    for wrong in ({"depth": True}, {"depth": "3"}, {"rate": float("inf")}, {"label": None}):
        with pytest.raises(InvalidInputError, match=next(iter(wrong))):
            checked_settings(PART, wrong)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("max-tokens", int, 1, "…"), "use a Python name"),
        (("n", list, [], "…"), "no type of a setting"),
        (("n", int, "1", "…"), "its default"),
        (("n", int, 1, "…", (1, "2")), "'2' is no int"),
        (("n", int, 3, "…", (1, 2)), "one of 1, 2; got 3"),
    ],
)
def test_a_setting_that_makes_no_sense_cannot_be_declared(arguments: Any, message: str) -> None:
    with pytest.raises(FeatureStoreError, match=message):
        Setting(*arguments)


def test_a_part_has_a_setting_once_and_none_whose_name_is_taken() -> None:
    for settings in ((SETTINGS[0], SETTINGS[0]), (Setting("folder", str, "", "A folder."),)):
        with pytest.raises(InvalidInputError, match="the name is taken"):
            part(settings=settings)


def test_what_the_fingerprint_holds() -> None:
    toy = part(
        settings=(SETTINGS[0], Setting("device", str, "cpu", "Where.", identity=False)),
        packages=("pytest",),
        data=("made_up_package:made_up_package.py",),
        trained_on=("mp-1",),
    )
    # A module that is no package has no files of its own.
    with pytest.raises(InvalidInputError, match="'toy' lacks its data made_up_package:"):
        assert toy.build().fingerprint
    toy = part(settings=toy.settings, packages=("pytest",), trained_on=("mp-1",), data=())
    request = toy.build({"device": "cuda"})
    assert request.settings == {"depth": None, "device": "cuda"}
    assert request.fingerprint == {
        "part": "toy",
        "versions": {"pytest": pytest.__version__},
        "trained_on": ["mp-1"],
        "settings": {"depth": None},
    }
    assert toy.settings_in(toy.build({"depth": 4}).fingerprint) == {"depth": 4}
    words = part(trained_on="MPtrj", data=("featurestore:properties.toml",)).build().fingerprint
    assert words["trained_on"] == "MPtrj"
    assert len(words["data_sha256"]["featurestore:properties.toml"]) == 64


def test_a_package_that_is_not_installed_is_named() -> None:
    needs = part(packages=("no-such-package-anywhere",))
    with pytest.raises(MissingPackageError, match="pip install no-such-package-anywhere"):
        needs.build()
    needs = part(packages=("no-such-package-anywhere",), install="pip install 'lab[extra]'")
    with pytest.raises(MissingPackageError, match=r"not installed: pip install 'lab\[extra\]'"):
        needs.build()
