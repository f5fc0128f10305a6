"""In which order a side is evaluated, and which hops read the previous step. Pure graph work, no streams.

Hops settle: a step is evaluated layer by layer. Two exceptions read the previous step: an edge into a
delayed input, and every edge inside a strongly connected component that has no delayed edge to open it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settled:
    """The order of evaluation.

    levels     lists of nodes; a node reads only nodes of earlier levels, or the previous step
    previous   for every edge, whether it reads the previous step
    loops      components whose hops each cost one step because no delayed input opens them
    tangles    components of the whole graph, delayed edges included, that must be stepped together
    """

    levels: list
    previous: list
    loops: list
    tangles: list


def components(count, successors):
    """Strongly connected components in topological order of their condensation (sources first).

    Tarjan's algorithm without recursion, so a chain of 10,000 neurons is no stack overflow.
    Source: R. Tarjan, Depth-first search and linear graph algorithms, 1972.
    """
    index, low, on_stack = [0] * count, [0] * count, [False] * count
    stack, found, counter = [], [], 0
    for root in range(count):
        if index[root]:
            continue
        work = [(root, iter(successors[root]))]
        counter += 1
        index[root] = low[root] = counter
        stack.append(root)
        on_stack[root] = True
        while work:
            node, following = work[-1]
            for successor in following:
                if not index[successor]:
                    counter += 1
                    index[successor] = low[successor] = counter
                    stack.append(successor)
                    on_stack[successor] = True
                    work.append((successor, iter(successors[successor])))
                    break
                if on_stack[successor]:
                    low[node] = min(low[node], index[successor])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component = []
                    while True:
                        member = stack.pop()
                        on_stack[member] = False
                        component.append(member)
                        if member == node:
                            break
                    found.append(sorted(component))
    found.reverse()
    return found


def settle(count, edges, strict=False):
    """The order in which `count` nodes are evaluated.

    edges    [(source, target, delayed)], nodes as indices; several edges between two nodes are fine
    strict   one step per hop everywhere, as the historical machines have it
    returns  a `Settled`; within a level nodes keep the order of their indices
    """
    immediate = [[] for _ in range(count)]
    everything = [[] for _ in range(count)]
    for source, target, delayed in edges:
        everything[source].append(target)
        if not delayed and not strict:
            immediate[source].append(target)
    loops, component_of = [], [0] * count
    looped = [False] * count
    for number, members in enumerate(components(count, immediate)):
        for member in members:
            component_of[member] = number
        if len(members) > 1 or members[0] in immediate[members[0]]:
            loops.append(members)
            for member in members:
                looped[member] = True
    previous = [
        strict or delayed or (looped[source] and component_of[source] == component_of[target])
        for source, target, delayed in edges
    ]
    waiting = [0] * count
    successors = [[] for _ in range(count)]
    for (source, target, _), reads_previous in zip(edges, previous, strict=True):
        if not reads_previous:
            successors[source].append(target)
            waiting[target] += 1
    levels, level = [], [node for node in range(count) if not waiting[node]]
    while level:
        levels.append(level)
        following = []
        for node in level:
            for successor in successors[node]:
                waiting[successor] -= 1
                if not waiting[successor]:
                    following.append(successor)
        level = sorted(following)
    tangles = [
        members
        for members in components(count, everything)
        if len(members) > 1 or members[0] in everything[members[0]]
    ]
    return Settled(levels, previous, loops, tangles)
