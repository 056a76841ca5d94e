"""Alt texts: from captions, into pages and images.

`AltTextStyle` makes an alt text of a caption. `read_page` reads a page of HTML or Markdown as a
`Page`, whose `images` tell where alt texts stand and which are missing, and whose `described`
writes them and changes nothing else.
"""

from keras_showattend.alt_text.page_images import PageImage
from keras_showattend.alt_text.pages import Page, find_pages, read_page
from keras_showattend.alt_text.style import AltTextStyle

__all__ = ["AltTextStyle", "Page", "PageImage", "find_pages", "read_page"]
