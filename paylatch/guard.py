"""Child processes that never outlive this one, however it dies."""

import subprocess

# Waits for the end of its input, which comes when the process that holds the other end dies in whatever way, and then
# kills the child. The kernel's own parent-death signal will not do: it is forgotten as soon as a broker that was
# started as root drops to its own account.
_SCRIPT = 'read -r _; kill -KILL "$1"'


class Guard:
    """Kills one child process as soon as this process is gone; `dismiss` it before the child is reaped.

    Args:
        pid: the child's process id.
    """

    def __init__(self, pid: int) -> None:
        # A session of its own: whoever ends our whole process group must not end the guard with it.
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "paylatch-guard", str(pid)], stdin=subprocess.PIPE, start_new_session=True
        )

    def dismiss(self) -> None:
        """End the guard without ending the child: once that is reaped, its number may become another process's."""
        self._process.kill()
        self._process.communicate()
