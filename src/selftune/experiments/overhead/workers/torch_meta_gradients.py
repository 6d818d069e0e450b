"""The same meta-gradient with PyTorch: torchopt, higher and torch.func. Driven by `libraries`, without selftune.

python torch_meta_gradients.py WORKLOAD.npz THREADS

The file holds `params/<layer>/<weight|bias>`, `<batches|validation>/<observation|reward|next_value>`, `discount`,
`cost` and `learning_rate`. The line `gradients` is answered by `{name: [d/d discount, d/d cost]}`, `versions` by
`{name: version}`, and the name of a library by the seconds that it takes once. NaN is answered as it is.
"""

# pyright: reportMissingImports=false, reportMissingModuleSource=false
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import higher
import numpy as np
import torch
import torchopt

ADAM = {"betas": (0.9, 0.999), "eps": 1e-5}
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class Workload:
    """The arrays of one comparison, as tensors."""

    def __init__(self, path: str) -> None:
        arrays = np.load(path)

        def batch(prefix: str) -> Batch:
            observation, reward, next_value = (
                torch.from_numpy(arrays[f"{prefix}/{name}"]) for name in ("observation", "reward", "next_value")
            )
            return observation, reward, next_value

        layers = sum(name.endswith("/weight") for name in arrays)
        self.layers = [
            tuple(torch.from_numpy(arrays[f"params/{i}/{name}"]) for name in ("weight", "bias")) for i in range(layers)
        ]
        self.batches = list(zip(*batch("batches"), strict=True))
        self.validation = batch("validation")
        self.learning_rate = float(arrays["learning_rate"])
        self.discount, self.cost = (torch.tensor(float(arrays[name])) for name in ("discount", "cost"))

    def module(self) -> torch.nn.Module:
        """The network, with the parameters of the file."""
        modules: list[torch.nn.Module] = []
        for weight, bias in self.layers:
            linear = torch.nn.Linear(*weight.shape)
            linear.weight = torch.nn.Parameter(weight.T.contiguous())
            linear.bias = torch.nn.Parameter(bias.clone())
            modules += [linear, torch.nn.Tanh()]
        return torch.nn.Sequential(*modules[:-1])

    def hyperparameters(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Discount and cost, to be differentiated."""
        return self.discount.clone().requires_grad_(), self.cost.clone().requires_grad_()


def loss(network: Callable, discount: torch.Tensor, cost: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The inner loss, as in `workload`."""
    observation, reward, next_value = batch
    value = network(observation)
    return ((value - (reward + discount * next_value)) ** 2).mean() + cost * (value**2).mean()


def outer_loss(network: Callable, batch: Batch) -> torch.Tensor:
    """The judge, as in `workload`."""
    observation, reward, _ = batch
    return ((network(observation) - reward) ** 2).mean()


def with_torchopt(work: Workload) -> Callable[[], list[float]]:
    """The fused Adam (`use_accelerated_op`) and the plain one are both tried elsewhere; the plain one is the faster."""
    network = work.module()

    def once() -> list[float]:
        hyperparameters = work.hyperparameters()
        start = torchopt.extract_state_dict(network, by="reference", detach_buffers=True)
        optimizer = torchopt.MetaAdam(network, lr=work.learning_rate, **ADAM)
        for batch in work.batches:
            optimizer.step(loss(network, *hyperparameters, batch))
        meta_grad = torch.autograd.grad(outer_loss(network, work.validation), hyperparameters)
        torchopt.recover_state_dict(network, start)
        return [float(g) for g in meta_grad]

    return once


def with_higher(work: Workload) -> Callable[[], list[float]]:
    """Its Adam adds epsilon elsewhere, so that its gradient is another one."""
    network = work.module()

    def once() -> list[float]:
        hyperparameters = work.hyperparameters()
        adam = torch.optim.Adam(network.parameters(), lr=work.learning_rate, **ADAM)
        with higher.innerloop_ctx(network, adam) as (functional, optimizer):
            for batch in work.batches:
                optimizer.step(loss(functional, *hyperparameters, batch))
            meta_grad = torch.autograd.grad(outer_loss(functional, work.validation), hyperparameters)
        return [float(g) for g in meta_grad]

    return once


def with_torch_func(work: Workload) -> Callable[[], list[float]]:
    """Adam written out, as a user of torch.func has to."""
    network = work.module()
    start = {name: parameter.detach() for name, parameter in network.named_parameters()}
    b1, b2 = ADAM["betas"]

    def inner(params: dict, hyperparameters: tuple[torch.Tensor, torch.Tensor], batch: Batch) -> torch.Tensor:
        return loss(lambda x: torch.func.functional_call(network, params, (x,)), *hyperparameters, batch)

    def judged(hyperparameters: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        params = start
        mean = {name: torch.zeros_like(p) for name, p in params.items()}
        square = {name: torch.zeros_like(p) for name, p in params.items()}
        for count, batch in enumerate(work.batches, start=1):
            gradient = torch.func.grad(inner)(params, hyperparameters, batch)
            mean = {name: b1 * mean[name] + (1 - b1) * g for name, g in gradient.items()}
            square = {name: b2 * square[name] + (1 - b2) * g * g for name, g in gradient.items()}
            rate, correction = work.learning_rate / (1 - b1**count), 1 - b2**count
            params = {
                name: p - rate * mean[name] / ((square[name] / correction).sqrt() + ADAM["eps"])
                for name, p in params.items()
            }
        return outer_loss(lambda x: torch.func.functional_call(network, params, (x,)), work.validation)

    differentiate = torch.func.grad(judged)
    return lambda: [float(g) for g in differentiate((work.discount, work.cost))]


PEERS: dict[str, Callable[[Workload], Callable[[], list[float]]]] = {
    "torchopt": with_torchopt,
    "higher": with_higher,
    "torch.func": with_torch_func,
}


DISTRIBUTIONS = {"torchopt": "torchopt", "higher": "higher", "torch.func": "torch"}


def main() -> None:
    """Answer until there are no more lines."""
    torch.set_num_threads(int(sys.argv[2]))
    work = Workload(sys.argv[1])
    runs = {name: build(work) for name, build in PEERS.items()}
    for line in sys.stdin:
        match line.strip():
            case "versions":
                answer = {name: version(distribution) for name, distribution in DISTRIBUTIONS.items()}
            case "gradients":
                answer = {name: run() for name, run in runs.items()}
            case name:
                start = time.perf_counter()
                runs[name]()
                answer = time.perf_counter() - start
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
