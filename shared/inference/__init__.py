"""Running models, in the worker and in the lab alike: what is certified is what decides. The only package that imports onnxruntime."""
