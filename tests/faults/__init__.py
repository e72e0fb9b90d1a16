"""
Faults on purpose: kills, failing system calls, power cuts, reused pids, jumping clocks.

Every tool drives a `victim.Victim`, a small program that says what it has done, and every tool's
module has `available`, which gives the reason why it cannot work on this machine, or none.

- `strace` kills the victim, or fails its call, at any system call in turn
- `fuse` mounts a directory whose operations fail or write too little
- `block_log` and `power_cut` cut the power at any block that a file system wrote
- `namespaces` makes a pid come back, and a clock jump
"""
