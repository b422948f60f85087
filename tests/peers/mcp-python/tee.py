#!/usr/bin/env python3
"""Stands in a server's stdio and says what went by: as it came, hashed, and how the command ended.

    tee.py REPORT COMMAND [ARGUMENT...]

Starts the command and passes its stdin and stdout on as they come. SIGTERM is passed on too. At the end REPORT holds

    {"stdin": {"bytes": N, "sha256": "..."}, "stdout": {...}, "status": N, "pid": N}

where `status` is the exit code, or less than zero for a signal, and the tee ends as the command did.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading

report, command = sys.argv[1], sys.argv[2:]
child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
for passed in (signal.SIGTERM, signal.SIGINT):
    signal.signal(passed, lambda number, frame: child.send_signal(number))
went = {"stdin": [0, hashlib.sha256()], "stdout": [0, hashlib.sha256()]}


def write(to, data):
    while data:
        data = data[os.write(to, data) :]


def copy(name, source, to):
    count = went[name]
    try:
        while data := os.read(source, 1 << 16):
            write(to, data)
            count[1].update(data)
            count[0] += len(data)
    except OSError:
        pass


def forward():
    copy("stdin", 0, child.stdin.fileno())
    child.stdin.close()


threading.Thread(target=forward, daemon=True).start()
back = threading.Thread(target=copy, args=("stdout", child.stdout.fileno(), 1))
back.start()
# Not at once in the threads' join: it would keep the signal handlers from running.
status = child.wait()
back.join()
with open(report, "w") as file:
    sums = {name: {"bytes": count, "sha256": digest.hexdigest()} for name, (count, digest) in went.items()}
    json.dump(sums | {"status": status, "pid": child.pid}, file)
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
