"""What mkdocs does not do by itself.

A page may link to a file of the repository that is no page, such as
../deploy/monitoring: a reader of the files follows it there. On the site it leads to the
repository's own web page. A file that does not exist is a warning, which --strict makes
an error, as for every other link.
"""

import logging
import os
import re

log = logging.getLogger("mkdocs.hooks")

REPOSITORY = "https://github.com/lambdamesh/lambdamesh/blob/main/"
LINK = re.compile(r"(\]\()((?:\.\./)+[^)#\s]+)")


def on_page_markdown(markdown, *, page, config, **_):
    root = os.path.dirname(config.config_file_path)
    docs = os.path.realpath(config.docs_dir)
    here = os.path.dirname(page.file.abs_src_path)

    def leave(match):
        target = os.path.realpath(os.path.join(here, match[2]))
        if target.startswith(docs + os.sep):
            return match[0]  # another page: mkdocs checks it
        if not os.path.exists(target):
            log.warning("%s links to %s, which is not in the repository", page.file.src_uri, match[2])
        return match[1] + REPOSITORY + os.path.relpath(target, root)

    return LINK.sub(leave, markdown)
