from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clawstate.files.mounts import (
    UNKNOWN,
    Mount,
    holder_of,
    journal_mode,
    mount_of,
    parse_mounts,
    warning_for,
)

# The form is that of proc_pid_mountinfo(5): ids, device, root, mount point, options, tags, dash.
TABLE = r"""22 28 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw
28 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,errors=remount-ro
30 28 0:40 / /mnt/team rw,relatime shared:3 - nfs4 filer:/export/team rw,vers=4.2,hard
31 28 0:41 / /mnt/old rw,relatime - nfs 10.0.0.7:/old rw,vers=3,nolock
32 28 0:42 / /mnt/office rw,relatime - cifs //server/My\040Share rw,vers=3.1.1
33 28 0:43 / /mnt/c rw,noatime - 9p C:\134 rw,dirsync,aname=drvfs;path=C:\134;uid=1000
34 28 0:44 / /host rw,relatime - virtiofs share rw
35 28 0:45 / /layers rw,relatime - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
36 28 0:46 / /mnt/ssh rw,nosuid,nodev - fuse.sshfs ada@box:/home/ada rw,user_id=0
37 28 0:47 / /mnt/dav rw - fuse https://dav.example/x rw,user_id=0
38 28 0:48 / /mnt/crypt rw - fuse.gocryptfs /home/ada/.crypt rw,user_id=0
39 28 8:17 / /mnt/stick rw - fuseblk /dev/sdb1 rw,user_id=0
40 28 254:0 /srv/real /srv/bound ro,relatime shared:1 master:2 propagate_from:3 - ext4 /dev/vda rw
41 28 0:49 / /mnt/two\040words rw - tmpfs none rw
42 28 0:50 / /mnt/tab\011line\012back\134end rw - tmpfs tmpfs rw
43 28 254:0 /gone//deleted /mnt/gone rw - ext4 /dev/vda rw
50 28 7:0 / /snap ro,nodev - squashfs /dev/loop0 ro
45 28 0:51 / /quiet rw - tmpfs  rw
46 30 0:52 / /mnt/team/local rw - xfs /dev/sdc rw
47 28 0:53 / /mnt/rw rw - ext4 /dev/sdd ro
48 28 0:54 / /mnt/bucket rw - fuse.mybucket remote: rw
49 28 0:55 / /mnt/pool rw - fuse.mergerfs disk1:disk2 rw
"""
ENTRIES = parse_mounts(TABLE)


def holder(path: str, text: str = TABLE) -> Mount | None:
    return holder_of(Path(path), parse_mounts(text))


@pytest.mark.parametrize(
    ("path", "kind", "point", "source"),
    [
        ("/home/ada/.openclaw", "ext4", "/", "/dev/vda"),
        ("/", "ext4", "/", "/dev/vda"),
        ("/proc/self", "proc", "/proc", "proc"),
        ("/mnt/team", "nfs4", "/mnt/team", "filer:/export/team"),
        ("/mnt/team/a/b", "nfs4", "/mnt/team", "filer:/export/team"),
        ("/mnt/team/local/a", "xfs", "/mnt/team/local", "/dev/sdc"),
        ("/mnt/teams", "ext4", "/", "/dev/vda"),
        ("/mnt/office/x", "cifs", "/mnt/office", "//server/My Share"),
        ("/mnt/c/Users", "9p", "/mnt/c", "C:\\"),
        ("/mnt/two words/x", "tmpfs", "/mnt/two words", None),
        ("/mnt/two", "ext4", "/", "/dev/vda"),
        ("/mnt/tab\tline\nback\\end", "tmpfs", "/mnt/tab\tline\nback\\end", "tmpfs"),
        ("/mnt/gone/x", "ext4", "/mnt/gone", "/dev/vda"),
        ("/srv/bound/x", "ext4", "/srv/bound", "/dev/vda"),
        ("/srv/real/x", "ext4", "/", "/dev/vda"),
    ],
)
def test_longest_mount_point_above_a_path_holds_it(path, kind, point, source) -> None:
    """A path belongs to the nearest mount above it, whole names compared, escapes undone."""
    found = holder(path)

    assert (found.kind, found.mount_point, found.source) == (kind, Path(point), source)


@pytest.mark.parametrize(
    ("path", "network", "fuse"),
    [
        ("/", False, False),
        ("/mnt/team", True, False),
        ("/mnt/old", True, False),
        ("/mnt/office", True, False),
        ("/mnt/c", True, False),
        ("/host", True, False),
        ("/layers", False, False),
        ("/mnt/ssh", True, True),
        ("/mnt/dav", True, True),
        ("/mnt/bucket", True, True),
        ("/mnt/crypt", False, True),
        ("/mnt/pool", False, True),
        ("/mnt/stick", False, True),
        ("/mnt/gone", False, False),
    ],
)
def test_network_and_fuse_are_told_apart(path, network, fuse) -> None:
    """A network is known by its kind, and behind FUSE by the program or its remote source."""
    found = holder(path)

    assert (found.network, found.fuse) == (network, fuse)
    assert journal_mode(found) == ("delete" if network else "wal")


@pytest.mark.parametrize(
    "kind",
    [
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "afs", "ceph", "glusterfs",
        "fuse.glusterfs", "fuse.sshfs", "fuse.s3fs", "fuse.rclone", "lustre", "gpfs", "beegfs",
        "drvfs", "vboxsf", "vmhgfs", "fuse.vmhgfs-fuse", "prl_fs", "fuse.grpcfuse", "fuse.gcsfuse",
    ],
)  # fmt: skip
def test_network_file_systems_get_a_rollback_journal(kind: str) -> None:
    """On every file system that another machine or the host serves, WAL is not used."""
    found = holder("/x", f"1 0 0:1 / / rw - {kind} something rw\n")

    assert (found.network, journal_mode(found)) == (True, "delete")


@pytest.mark.parametrize(
    "kind",
    ["ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "overlay", "fuse.bindfs", "fuseblk", "autofs"],
)
def test_local_file_systems_get_a_write_ahead_log(kind: str) -> None:
    """On a file system of this machine WAL is used."""
    found = holder("/x", f"1 0 0:1 / / rw - {kind} /dev/sda1 rw\n")

    assert (found.network, journal_mode(found)) == (False, "wal")


@pytest.mark.parametrize(
    ("path", "read_only"),
    [("/", False), ("/srv/bound", True), ("/snap", True), ("/mnt/rw", True), ("/mnt/c", False)],
)
def test_read_only_is_a_matter_of_the_mount_or_the_file_system(path, read_only) -> None:
    """A mount is read-only if its own options say so, or those of the file system."""
    assert holder(path).read_only is read_only


def test_file_system_without_a_name_for_its_source_is_read() -> None:
    """An empty source shifts no field."""
    table = "1 0 0:1 / / rw - ext4 /dev/vda rw\n2 1 0:2 / /quiet rw shared:7 - tmpfs  ro\n"

    assert holder("/quiet", table) == Mount("tmpfs", Path("/quiet"), None, read_only=True)


def test_last_mount_on_one_point_counts() -> None:
    """What was mounted on top of a mount is what is seen there."""
    table = (
        "1 0 0:1 / / rw - rootfs rootfs rw\n"
        "2 1 0:2 / / rw - ext4 /dev/vda rw\n"
        "3 2 0:3 / /a rw - nfs4 filer:/a rw\n"
        "4 3 0:4 / /a rw - tmpfs tmpfs rw\n"
    )

    assert [holder(path, table).kind for path in ("/", "/a", "/a/b")] == ["ext4", "tmpfs", "tmpfs"]


def test_later_mount_hides_what_was_mounted_inside() -> None:
    """A mount over a whole directory hides the older mounts below it."""
    table = (
        "1 1 0:1 / / rw - ext4 /dev/vda rw\n"
        "2 1 0:2 / /a/b rw - nfs4 filer:/b rw\n"
        "3 1 0:3 / /a rw - xfs /dev/vdb rw\n"
        "4 3 0:4 / /a/c rw - tmpfs tmpfs rw\n"
    )

    kinds = [holder(path, table).kind for path in ("/a/b/x", "/a/c/x", "/x")]

    assert kinds == ["xfs", "tmpfs", "ext4"]


def test_mounts_whose_parent_is_out_of_sight_are_found() -> None:
    """Inside of a changed root no mount is at `/`, and what lies on none is not known."""
    table = "7 3 0:7 / /data rw - nfs filer:/d rw\n8 7 0:8 / /data/x rw - ext4 /dev/vdb rw\n"

    assert [holder("/data", table).kind, holder("/data/x/y", table).kind] == ["nfs", "ext4"]
    assert holder("/etc", table) is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "garbage",
        "1 0 0:1 / / rw ext4 /dev/vda rw",
        "1 0 0:1 / / rw - ext4",
        "x y - - - - - - -",
    ],
)
def test_lines_of_another_form_are_passed_over(line: str) -> None:
    """A line that is no entry neither fails nor hides the others."""
    assert parse_mounts(f"{line}\n{TABLE}{line}\n") == ENTRIES


def test_every_line_of_the_table_is_an_entry() -> None:
    """No line of the examples is lost, with tags or without, with a source or without."""
    assert [str(each.number) for each in ENTRIES] == [
        line.split()[0] for line in TABLE.splitlines()
    ]


def test_warning_names_path_kind_danger_and_remedy(tmp_path: Path) -> None:
    """State on a network file system is warned of in one sentence; on a local disk it is not."""
    table = tmp_path / "mountinfo"
    table.write_text(TABLE)

    warning = warning_for(Path("/mnt/team/state"), table=table)

    assert warning.startswith("/mnt/team/state lies on a network or shared file system (nfs4)")
    assert all(word in warning for word in ("locks", "caches", "write-ahead log", "local disk"))
    assert warning_for(Path("/home/ada"), table=table) is None


def test_links_are_followed_also_to_what_does_not_exist(tmp_path: Path) -> None:
    """A link counts for where it leads, although nothing is there yet."""
    table = tmp_path / "mountinfo"
    table.write_text(f"1 0 0:1 / / rw - ext4 a rw\n2 1 0:2 / {tmp_path}/far rw - nfs4 f:/ rw\n")
    (tmp_path / "link").symlink_to(tmp_path / "far" / "state")

    assert mount_of(tmp_path / "link" / "new", table=table).kind == "nfs4"
    assert mount_of(tmp_path / "link" / ".." / ".." / "new", table=table).kind == "ext4"


def test_mount_points_need_not_be_unicode(tmp_path: Path) -> None:
    """A mount point is bytes, as any file name."""
    table = tmp_path / "mountinfo"
    table.write_bytes(b"1 0 0:1 / / rw - ext4 a rw\n2 1 0:2 / /m\xff rw - nfs4 f:/ rw\n")

    assert mount_of(Path(os.fsdecode(b"/m\xff/x")), table=table).kind == "nfs4"


def test_system_without_a_mount_table_is_unknown(tmp_path: Path) -> None:
    """Where nothing is told, the kind is unknown, WAL is used and nothing is warned of."""
    table = tmp_path / "absent"

    found = mount_of(tmp_path, table=table)

    assert found == Mount(UNKNOWN, Path(tmp_path.anchor))
    assert journal_mode(found) == "wal"
    assert warning_for(tmp_path, table=table) is None


on_linux = pytest.mark.skipif(
    not Path("/proc/self/mountinfo").exists(), reason="this system has no /proc/self/mountinfo"
)


@on_linux
def test_real_paths_lie_on_real_mounts(tmp_path: Path) -> None:
    """What is said of this machine agrees with its devices, also for what does not exist yet."""
    found = mount_of(tmp_path / "not" / "yet")

    assert found.mount_point.stat().st_dev == tmp_path.stat().st_dev
    assert mount_of(Path("/proc/self/status")).kind == "proc"


@on_linux
def test_every_mount_of_this_machine_is_the_one_the_kernel_names() -> None:
    """At each mount point the answer is the mount that an open file there reports."""
    entries = parse_mounts(os.fsdecode(Path("/proc/self/mountinfo").read_bytes()))
    mounts = {each.number: each.mount for each in entries}

    for point in {each.mount.mount_point for each in entries}:
        number = kernel_mount_id(point)
        if number is not None:
            assert holder_of(point, entries) == mounts[number]


def kernel_mount_id(point: Path) -> int | None:
    try:
        descriptor = os.open(point, os.O_PATH)
    except OSError:
        return None
    try:
        lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines()
    finally:
        os.close(descriptor)
    return next(int(line.split()[1]) for line in lines if line.startswith("mnt_id:"))


PROGRAM = """
import sys
from pathlib import Path
from clawstate.files.mounts import mount_of
for argument in sys.argv[1:]:
    mount = mount_of(Path(argument))
    print(mount.kind, mount.source, mount.read_only, mount.mount_point)
"""


def in_private_namespace(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["unshare", "-m", "sh", "-ec", script, "sh", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@on_linux
def test_real_mounts_are_seen_as_they_hide_each_other(tmp_path: Path) -> None:
    """A mount made now is seen at once, with its options, and hides what lies under it."""
    if shutil.which("unshare") is None or in_private_namespace("mount -t tmpfs t /mnt").returncode:
        pytest.skip("mounting in a private namespace is not permitted here")
    room = tmp_path / "two words"
    (room / "inner").mkdir(parents=True)

    done = in_private_namespace(
        'mount -t tmpfs inside "$1/inner"; "$2" -c "$3" "$1/inner/x";'
        'mount -t tmpfs -o ro outside "$1"; "$2" -c "$3" "$1" "$1/inner/x"',
        str(room), sys.executable, PROGRAM,
    )  # fmt: skip

    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"tmpfs inside False {room / 'inner'}",
        f"tmpfs outside True {room}",
        f"tmpfs outside True {room}",
    ]
    assert mount_of(room).source != "outside"
