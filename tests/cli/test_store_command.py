"""The noun `store`, and what `status` and `doctor` say of records that lie elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

IN_ROWS = ("--store", "sqlite")


@pytest.fixture
def kept(cli):
    cli("sessions", "create", "a")
    cli("dedupe", "check", "update-1", "--namespace", "telegram")
    return cli


def test_records_are_moved_and_counted(kept) -> None:
    """`store migrate` moves all records, counts them, and the next commands find them."""
    done = kept("store", "migrate", "--to", "sqlite", "--json")

    assert done.code == 0
    assert done.json["records"]["sessions"] == 1
    assert kept("dedupe", "check", "update-1", "--namespace", "telegram", "--json").json == {
        "new": False
    }
    shown = kept("store", "status", "--json").json
    assert (shown["engine"], shown["records"]["sessions"]) == ("sqlite", 1)
    assert shown["leftBehind"]["records"] == {}


def test_the_setting_alone_is_refused(kept) -> None:
    """`config set state.store` with records elsewhere names the command, and hides nothing."""
    refused = kept("config", "set", "state.store", "sqlite")

    assert refused.code == 1
    assert "clawstate store migrate --to sqlite" in refused.err
    assert kept("sessions", "list", "--json").json["count"] == 1


def test_records_elsewhere_are_told_everywhere(kept) -> None:
    """Records that are not read are a warning, a line of `status` and a finding of `doctor`."""
    asked = kept("--store", "sqlite", "dedupe", "check", "update-1", "--namespace", "telegram")
    status = kept("--store", "sqlite", "status")
    doctor = kept("--store", "sqlite", "doctor", "--json")

    assert "dedupe marks (1) lie in files" in asked.err
    assert "sessions (1) lie in files" in status.out
    assert status.err == ""
    codes = [each["code"] for each in doctor.json["findings"]]
    assert (doctor.code, codes.count("left-behind")) == (1, 2)


def test_status_says_whose_the_directory_is(kept, tmp_path) -> None:
    """Beside an OpenClaw `status` names it in one line, and `doctor` too."""
    assert "belongs to" not in kept("status").out

    (tmp_path / "state/cron").mkdir()

    assert "OpenClaw (file era)" in kept("status").out
    assert kept("status", "--json").json["openclaw"]["era"] == "files"
    assert "belongs to OpenClaw (file era)" in kept("doctor").out


@pytest.mark.parametrize("engine", ["sqlite", "file"])
def test_what_was_set_aside_is_named_and_removed_for_good(cli, tmp_path, engine) -> None:
    """After a move the old records are named by `migrate` and `status`, and `clean` scrubs them."""
    secret = "made-up-secret-of-the-old-place"
    if engine == "file":
        cli("config", "set", "state.store", "sqlite")
    cli("auth", "add", "openai:old", stdin=secret.encode())

    moved = cli("store", "migrate", "--to", engine)
    status = cli("store", "status")
    audit = cli("auth", "audit")

    assert "clawstate store clean" in moved.out
    assert "clawstate store clean" in status.out
    assert ("set-aside" if engine == "sqlite" else "moved:auth:main") in audit.out
    cli("auth", "remove", "openai:old")
    refused = cli("store", "clean")
    assert (refused.code, "--yes" in refused.err) == (2, True)
    assert secret in text_of(tmp_path / "state")

    done = cli("store", "clean", "--yes", "--json")

    assert (done.code, done.json["problems"]) == (0, [])
    assert done.json["removed"]["files" if engine == "sqlite" else "rows"] > 0
    old = tmp_path / "state" / ("state/set-aside" if engine == "sqlite" else "state/records.db")
    assert secret not in text_of(old)
    assert cli("store", "status", "--json").json["setAside"] == {
        "places": [],
        "files": 0,
        "rows": 0,
    }
    assert "nothing was set aside" in cli("store", "clean").out


def text_of(place: Path) -> str:
    files = place.rglob("*") if place.is_dir() else place.parent.glob(f"{place.name}*")
    return "".join(each.read_text("latin-1") for each in files if each.is_file())


def test_an_engine_is_known_by_what_people_call_it(kept) -> None:
    """`files` is the engine `file`; of a slip the error says what was meant, and moves nothing."""
    assert kept("store", "migrate", "--to", "SQLite3").code == 0
    assert kept("store", "migrate", "--to", "files").code == 0
    slip = kept("store", "migrate", "--to", "sqlit")

    assert (slip.code, "did you mean 'sqlite'?" in slip.err) == (2, True)
    assert kept("store", "status", "--json").json["engine"] == "file"


def test_beside_files_of_openclaw_a_way_that_works_is_named(cli, tmp_path) -> None:
    """Where records must stay in files of OpenClaw's, what is refused says how to have others."""
    cli("auth", "add", "openai:a", stdin=b"made-up-secret")
    (tmp_path / "state/cron").mkdir()

    refused = cli("config", "set", "state.store", "sqlite")
    moved = cli("store", "migrate", "--to", "sqlite")

    for each in (refused, moved):
        assert each.code == 1
        assert f"import openclaw {tmp_path / 'state'}" in each.err
    assert "clawstate store migrate --to sqlite" in refused.err
    left = cli("--store", "sqlite", "status")
    assert "clawstate store migrate --to file'" in left.out


def test_sessions_in_rows_name_no_file(cli) -> None:
    """What is printed of a session names a file where there is one, and none where there is not."""
    in_file, in_rows = (
        cli(*engine, "sessions", "create", "a", "--json").json for engine in ((), IN_ROWS)
    )

    assert in_file["sessionFile"] == "profile/a.json"
    assert in_rows["sessionFile"] is None
    assert "profile/" not in cli(*IN_ROWS, "sessions", "show", "a").out
    assert cli(*IN_ROWS, "sessions", "list", "--json").json["sessions"][0]["sessionFile"] is None
