"""Captions over HTTP by Ray Serve: serve run serve_ray:app, then
curl --data-binary @photo.jpg localhost:8000."""

from ray import serve
from starlette.requests import Request

from keras_showattend import ImageCaptioner


@serve.deployment(max_ongoing_requests=32)
class Captioner:
    """A captioner that holds its weights in a process of its own."""

    def __init__(self) -> None:
        self.captioner = ImageCaptioner.from_preset("vgg16_gru_flickr8k")

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.05)
    async def captions(self, images: list[bytes]) -> list[str | None]:
        """Captions images that came at the same time."""
        return self.captioner.generate(images, on_error="skip")

    async def __call__(self, request: Request) -> dict[str, str | None]:
        """Answers one request."""
        return {"caption": await self.captions(await request.body())}


app = Captioner.bind()
