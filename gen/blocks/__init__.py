"""Hardware that belongs to no engine: memories, pipelines, and the ends of pipelines.

Nothing here knows a configuration of an engine; each block takes the widths and depths it has. In
Verilog a module of one of these blocks is named after the engine that it stands in.
"""
