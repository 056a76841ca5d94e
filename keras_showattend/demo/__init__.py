"""A page where visitors have their images captioned: on a laptop, or as a Hugging Face Space."""

from keras_showattend.demo.app import check_gradio, create_demo, launch_demo
from keras_showattend.demo.space import write_space

__all__ = ["check_gradio", "create_demo", "launch_demo", "write_space"]
