"""Child processes that never outlive this one, however it dies."""

import signal
import subprocess

# Waits for the end of its input, which comes when the process that holds the other end dies in whatever way, and then
# ends the child. The kernel's own parent-death signal will not do: it is forgotten as soon as a broker that was
# started as root drops to its own account.
_SCRIPT = 'read -r _; kill -"$2" "$1"'


class Guard:
    """Ends one child process as soon as this process is gone; `dismiss` it before the child is reaped.

    Args:
        pid: the child's process id.
        how: the signal that ends it at once, whatever it is doing.
    """

    def __init__(self, pid: int, how: signal.Signals = signal.SIGKILL) -> None:
        arguments = [str(pid), how.name.removeprefix("SIG")]
        # A session of its own: whoever ends our whole process group must not end the guard with it.
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "paylatch-guard", *arguments], stdin=subprocess.PIPE, start_new_session=True
        )

    def dismiss(self) -> None:
        """End the guard without ending the child: once that is reaped, its number may become another process's."""
        self._process.kill()
        self._process.communicate()
