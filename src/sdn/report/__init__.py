"""One rendering of reports, traces and observations for everybody who shows them: text, JSON and JUnit.

Pure: values in, text out. What a verdict is called is decided once, in `words`.
"""
