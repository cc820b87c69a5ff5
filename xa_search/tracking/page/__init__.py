"""The page of a search: one HTML file that needs no network, drawn from its report.

drawing: the template filled in. utterances: test utterances with their spans marked. page.html is the template;
page.css, charts.js and page.js are put into it.
"""
