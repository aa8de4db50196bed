"""The check `attachments`: which files a message holds (PURE). What they mean is weighed for each domain.

Output: a finding whose detail is the inspection.
"""

from services.content.finding import Finding
from services.content.mime.inspection import Attachment, Inspection
from services.content.mime.names import shown
from shared.verdict import CheckName

_MAX_LISTED = 5


def attachments_finding(inspection: Inspection) -> Finding:
    """Return what was seen: `none`, or `seen` with the files' names."""
    parts = f"{inspection.parts} MIME part{'' if inspection.parts == 1 else 's'}"
    if not inspection.attachments:
        return Finding(CheckName.ATTACHMENTS, "none", "No attachments.", input=parts, detail=inspection)
    count = len(inspection.attachments)
    evidence = f"{count} attachment{'' if count == 1 else 's'}: {listed(inspection.attachments)}."
    return Finding(CheckName.ATTACHMENTS, "seen", evidence, input=parts, detail=inspection)


def listed(attachments: tuple[Attachment, ...] | list[Attachment], limit: int = _MAX_LISTED) -> str:
    """Return attachments as a list that is safe to show, with where each is, and how many more there are."""
    texts = list(dict.fromkeys(f"{file_label(one)} {_place(one)}" for one in attachments[:limit]))
    if len(attachments) > limit:
        texts.append(f"and {len(attachments) - limit} more")
    return ", ".join(texts)


def file_label(attachment: Attachment) -> str:
    """Return a file's name with those of the archives around it: `report.zip › invoice.pdf.exe`."""
    name = shown(attachment.names[0]) if attachment.names else f"a file of type {attachment.kind.value} without a name"
    return " › ".join([*(shown(one) for one in attachment.path), name])


def _place(attachment: Attachment) -> str:
    return f"(part {attachment.part})" if attachment.part else "(within the text)"
