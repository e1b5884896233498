"""Watches a job from outside: tells when it has stopped moving, when it moves again, and when one of its ranks dies."""

from diagnostics.watching.board import Board as Board
from diagnostics.watching.deaths import Deaths as Deaths
from diagnostics.watching.family import Family as Family
from diagnostics.watching.family import Roster as Roster
from diagnostics.watching.hold import held as held
from diagnostics.watching.quiet import Look as Look
from diagnostics.watching.quiet import Quiet as Quiet
from diagnostics.watching.serving import address_of as address_of
from diagnostics.watching.watcher import Death as Death
from diagnostics.watching.watcher import Hang as Hang
from diagnostics.watching.watcher import Moves as Moves
from diagnostics.watching.watcher import Stands as Stands
from diagnostics.watching.watcher import Watcher as Watcher
from diagnostics.watching.webhook import Webhook as Webhook
