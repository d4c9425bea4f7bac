"""Calendar as a process: `python -m services.calendar.main`. It has health and a database of its own, and no rooms yet."""

from chassis.app import App, nothing_yet
from chassis.settings import ServiceSettings

if __name__ == "__main__":
    App("calendar", nothing_yet, ServiceSettings).run()
