"""A name with everything in it that a terminal, a page or a drawing might obey."""

from __future__ import annotations

# One of each class: C0, ESC, BEL, DEL, C1, overrides and isolates of direction, letters of no
# width, soft hyphen, separators of lines, a tab, a space that breaks nothing, invisible letters.
RAW = (
    "\x00\x01\x07\x08\t\n\x0b\r\x1b\x7f\x85\x9b\u00a0\u00ad\u034f\u061c\u115f\u180e\u200b\u200d"
    "\u200e\u200f\u2028\u2029\u202a\u202e\u2060\u2066\u2069\u2800\u3164\ufe0f\ufeff\uffa0\ufff9"
    "\U000e0001\U000e0100"
)
MARKUP = "\x1b]0;owned\x07\x1b[31m</script><b>$\\frac$ |`[red]:warning: &amp; =1+1 {x} %s 'q\"\\N"
NAME = MARKUP + "".join(f"{letter}§" for letter in RAW if letter != "\x00")
SHOWN = r"\x1b]0;owned\x07\x1b[31m"
