"""Names of modules without what wrappers add: as they leave the process."""

from torch import nn

__all__ = ["plain_names"]

SEGMENTS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""What torch.compile, FSDP and checkpoint wrappers put into a name."""

INNER = {"DataParallel": "module", "DistributedDataParallel": "module", "AveragedModel": "module",
         "PeftModel": "base_model", "LoraModel": "model", "BaseTuner": "model"}
"""Wrappers whose one child is the model: class and attribute. PeftModel has subclasses, and every
kind of adapter in peft is a BaseTuner."""


def plain_names(model: nn.Module) -> dict[str, str]:
    """The name of every module of ``model`` without its wrappers, by its name as it is.

    Wrappers are those of torch.compile, DataParallel, DistributedDataParallel, FSDP, activation
    checkpoints, and peft.
    """
    found, modules = {"": ""}, {"": model}
    for name, module in model.named_modules():
        modules[name] = module
        above, _, last = name.rpartition(".")
        if not name:
            continue
        parent = modules[above] if above in modules else model
        kinds = {kind.__name__ for kind in type(parent).__mro__}
        wraps = last in SEGMENTS or any(INNER.get(kind) == last for kind in kinds)
        found[name] = found.get(above, above) if wraps else ".".join(
                filter(None, (found.get(above, above), last)))
    return found
