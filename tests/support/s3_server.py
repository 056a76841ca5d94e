"""A local S3 server, moto's, that refuses and delays requests as a busy store does."""

import collections
import contextlib
import logging
import threading
import time

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class S3Server:
    """Serves one bucket; every object's first GET or PUT is answered with an error 500.

    Attributes:
        requests: `Counter` of (method, path).
        delay: seconds before each answer.
    """

    bucket = "bucket"

    def __init__(self):
        from moto.server import DomainDispatcherApplication, create_backend_app

        self.requests = collections.Counter()
        self.delay = 0.0
        self._serve = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ, start_response):
        request = (environ["REQUEST_METHOD"], environ["PATH_INFO"])
        self.requests[request] += 1
        time.sleep(self.delay)
        is_object = environ["PATH_INFO"].count("/") > 1
        if is_object and request[0] in ("GET", "PUT") and self.requests[request] == 1:
            start_response("500 Internal Server Error", [("Content-Type", "application/xml")])
            return [b"<Error><Code>InternalError</Code></Error>"]
        return self._serve(environ, start_response)

    def uri(self, path):
        """Address of a path in the bucket, with the options of this server."""
        options = f"endpoint_override=127.0.0.1:{self.port}&scheme=http&region=us-east-1"
        return f"s3://{self.bucket}/{path}?{options}&allow_bucket_creation=true"


@contextlib.contextmanager
def s3_server(patch):
    """Runs an `S3Server`, with an empty bucket; `patch` is a `pytest.MonkeyPatch`."""
    from werkzeug.serving import make_server

    from keras_showattend.data.storage import locate

    for name, value in ENVIRONMENT.items():
        patch.setenv(name, value)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = S3Server()
    server = make_server("127.0.0.1", 0, app, threaded=True)
    app.port = server.port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        locate(app.uri("")).filesystem.create_dir(app.bucket)
        yield app
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
