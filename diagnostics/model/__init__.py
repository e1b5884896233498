"""The values that every stage passes on: what was seen in the processes of a job, and what it means.

A collector makes a `Collection`; analysis turns it into a `Diagnosis`; a report draws both. Frozen values and enums.
"""

from diagnostics.model.devices import Device as Device
from diagnostics.model.devices import DeviceLook as DeviceLook
from diagnostics.model.devices import DeviceReading as DeviceReading
from diagnostics.model.devices import KernelLine as KernelLine
from diagnostics.model.devices import KernelPlace as KernelPlace
from diagnostics.model.devices import ResidentKernel as ResidentKernel
from diagnostics.model.diagnosis import Culprit as Culprit
from diagnostics.model.diagnosis import Diagnosis as Diagnosis
from diagnostics.model.diagnosis import Evidence as Evidence
from diagnostics.model.diagnosis import Finding as Finding
from diagnostics.model.diagnosis import RankClass as RankClass
from diagnostics.model.diagnosis import StackNode as StackNode
from diagnostics.model.diagnosis import StageError as StageError
from diagnostics.model.diagnosis import Wait as Wait
from diagnostics.model.evidence import BUNDLE_SUFFIX as BUNDLE_SUFFIX
from diagnostics.model.evidence import FORMAT as FORMAT
from diagnostics.model.evidence import Attempt as Attempt
from diagnostics.model.evidence import BlockingCall as BlockingCall
from diagnostics.model.evidence import Cgroup as Cgroup
from diagnostics.model.evidence import Collection as Collection
from diagnostics.model.evidence import Connection as Connection
from diagnostics.model.evidence import FileLock as FileLock
from diagnostics.model.evidence import Interface as Interface
from diagnostics.model.evidence import Listener as Listener
from diagnostics.model.evidence import Loop as Loop
from diagnostics.model.evidence import Memory as Memory
from diagnostics.model.evidence import Observed as Observed
from diagnostics.model.evidence import Process as Process
from diagnostics.model.evidence import Sample as Sample
from diagnostics.model.evidence import ThreadSample as ThreadSample
from diagnostics.model.evidence import Versions as Versions
from diagnostics.model.logfact import FactKind as FactKind
from diagnostics.model.logfact import LogFact as LogFact
from diagnostics.model.own_state import Collective as Collective
from diagnostics.model.own_state import Coroutine as Coroutine
from diagnostics.model.own_state import Event as Event
from diagnostics.model.own_state import Flight as Flight
from diagnostics.model.own_state import LockBlock as LockBlock
from diagnostics.model.own_state import OpenSpan as OpenSpan
from diagnostics.model.own_state import Partner as Partner
from diagnostics.model.own_state import ProcessGroup as ProcessGroup
from diagnostics.model.own_state import Task as Task
from diagnostics.model.own_state import TasksWatched as TasksWatched
from diagnostics.model.position import Position as Position
from diagnostics.model.position import Role as Role
from diagnostics.model.position import WaitKind as WaitKind
from diagnostics.model.record import Record as Record
from diagnostics.model.stack import Frame as Frame
from diagnostics.model.stack import Thread as Thread
from diagnostics.model.state import GONE as GONE
from diagnostics.model.state import State as State
