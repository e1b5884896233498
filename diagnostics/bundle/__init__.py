"""One archive with all evidence of one collection: `NAME.tar.zst`.

What is inside, in this order: `index.json` (format, tool version, every other member with size and sha256),
`collection.json` (a `Collection`), then the attachments as they are named, such as `ranks/worker-0/flight`.

`write` redacts what it is given, so that nobody can forget to. `read` takes the file for hostile: one zstd
frame with its size declared, plain ustar headers, exactly the members that the index lists, everything within
limits. Nothing is unpacked to disk unless `extract` is asked to.
"""

from diagnostics.bundle.form import COLLECTION as COLLECTION
from diagnostics.bundle.form import FORMAT as FORMAT
from diagnostics.bundle.form import INDEX as INDEX
from diagnostics.bundle.form import MAX_COMPRESSED as MAX_COMPRESSED
from diagnostics.bundle.form import MAX_MEMBERS as MAX_MEMBERS
from diagnostics.bundle.form import SUFFIX as SUFFIX
from diagnostics.bundle.form import Attachment as Attachment
from diagnostics.bundle.form import Bundle as Bundle
from diagnostics.bundle.form import Index as Index
from diagnostics.bundle.form import Kind as Kind
from diagnostics.bundle.form import Member as Member
from diagnostics.bundle.form import member_name as member_name
from diagnostics.bundle.reading import read as read
from diagnostics.bundle.writing import extract as extract
from diagnostics.bundle.writing import write as write
