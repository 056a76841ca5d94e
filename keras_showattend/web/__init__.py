"""A static page that captions images in the visitor's browser, without a server."""

from keras_showattend.web.site import write_site

__all__ = ["write_site"]
