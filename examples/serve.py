"""Captions over HTTP: uvicorn serve:app, then curl -F image=@photo.jpg localhost:8000/caption."""

from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, UploadFile

from keras_showattend import ImageCaptioner, ImageError

app = FastAPI()
captioner = ImageCaptioner.from_preset("vgg16_gru_flickr8k")


@app.post("/caption")
def caption(image: UploadFile, num_beams: Annotated[int, Query(ge=1, le=10)] = 5) -> dict:
    """Captions one image; several requests run side by side in threads."""
    try:
        beams = captioner.generate(image.file.read(), num_beams=num_beams, return_all_beams=True)
    except ImageError as error:
        raise HTTPException(422, str(error)) from error
    return {"caption": beams[0].text, "others": [beam.text for beam in beams[1:]]}
