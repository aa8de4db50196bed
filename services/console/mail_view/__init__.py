"""What a message is made of, for reading it without opening it (PURE): its parts, its text, what is attached.

What comes out is still the stranger's: whoever shows it escapes it. Nothing here recurses, and every step costs time
in proportion to the message, for the message was made to do harm.
"""
