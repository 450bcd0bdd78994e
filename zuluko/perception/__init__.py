"""Models and the nodes that run them."""

import os

# onnxruntime would tell its maker of each session and keep an id of the device. A door's camera tells nobody.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
