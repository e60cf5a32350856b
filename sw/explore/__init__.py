"""Search of the design space: points of a space evaluated by the models, on one machine or a cluster."""
