"use strict";
// The merged stacks once more, drawn: a box a frame, as wide as threads pass through it. It is made of the tree in the
// page, so that nothing stands in the file twice, and is there only where scripts may run.
(() => {
  const tree = document.querySelector(".tree");
  const flame = document.getElementById("flame");
  if (!tree || !flame) return;
  const [asTree, asFlame] = document.querySelectorAll(".views button");
  const [views, told, filter] = ["views", "flame-told", "filter"].map((id) => document.getElementById(id));
  const ROW = 21, NARROWEST = 3; // pixels
  const all = [];

  const child = (parent, frame, threads, ranks, first) => {
    const node = { parent, ...frame, threads, ranks, first, children: [], depth: parent ? parent.depth + 1 : 0 };
    if (parent) parent.children.push(node);
    all.push(node);
    return node;
  };
  const read = (list, parent) => {
    for (const item of list ? list.children : []) {
      const block = item.firstElementChild;
      const ranks = block.querySelector("summary > b").textContent;
      let at = parent;
      for (const line of block.querySelector(".fr").children) {
        const file = line.querySelector("i")?.textContent ?? "";
        const frame = { name: line.firstChild.textContent.trim(), file, native: line.className === "nf" };
        at = child(at, frame, Number(block.dataset.threads), ranks, at === parent);
      }
      read(block.querySelector(":scope > ul"), at);
    }
  };
  const threads = (n) => `${n.toLocaleString("en")} ${n === 1 ? "thread" : "threads"}`;
  const words = (node) => [node.name, node.file, node.ranks, threads(node.threads)].filter(Boolean).join(", ");

  const top = child(null, { name: "all stacks", file: "", native: true }, 0, "", false);
  read(tree.querySelector(":scope > .roots"), top);
  const busy = top.children.length > 0; // else all that there is waits for work
  if (!busy) read(tree.querySelector(".idle > .roots"), top);
  top.threads = top.children.reduce((sum, one) => sum + one.threads, 0);
  top.name += busy && tree.querySelector(".idle") ? " but idle pool threads" : "";
  let zoomed = top, current = top;

  const place = (node, left, width, boxes) => {
    if (width * flame.clientWidth < NARROWEST) return;
    boxes.push([node, left, width]);
    let x = left;
    for (const one of node.children) {
      const share = (width * one.threads) / Math.max(node.threads, 1);
      place(one, x, share, boxes);
      x += share;
    }
  };
  const draw = () => {
    const boxes = [];
    for (let above = zoomed.parent; above; above = above.parent) boxes.unshift([above, 0, 1]);
    place(zoomed, 0, 1, boxes);
    for (const node of all) node.box = null;
    const made = boxes.map(([node, left, width]) => {
      const box = (node.box = document.createElement("div"));
      box.className = `box ${node.native ? "native" : ""} ${node.depth < zoomed.depth ? "above" : ""}`;
      const short = node.name.replace(/^([a-z_]\w*::)+(?=\w)/, ""); // without namespaces: boxes are narrow
      box.textContent = node.first && node.parent ? `${node.ranks} · ${short}` : short;
      box.title = words(node);
      box.style.cssText = `left:${left * 100}%;width:${width * 100}%;top:${node.depth * ROW}px`;
      box.tabIndex = node === current ? 0 : -1;
      for (const [name, value] of Object.entries({
        "role": "treeitem", "aria-label": words(node), "aria-level": node.depth + 1,
        "aria-setsize": node.parent ? node.parent.children.length : 1,
        "aria-posinset": node.parent ? node.parent.children.indexOf(node) + 1 : 1,
        "aria-selected": node === current,
      })) box.setAttribute(name, value);
      box.addEventListener("click", () => zoom(node));
      box.addEventListener("focus", () => choose(node));
      return box;
    });
    flame.replaceChildren(...made);
    flame.style.height = `${(Math.max(...boxes.map(([node]) => node.depth)) + 1) * ROW}px`;
    mark();
  };
  const choose = (node) => {
    if (current.box) [current.box.tabIndex, current.box.ariaSelected] = [-1, "false"];
    current = node;
    if (node.box) [node.box.tabIndex, node.box.ariaSelected] = [0, "true"];
    told.textContent = words(node);
  };
  const focus = (node) => {
    if (!node.box) return zoom(node);
    node.box.focus();
    node.box.scrollIntoView({ block: "nearest" });
  };
  const zoom = (node) => {
    zoomed = node;
    choose(node);
    draw();
    focus(node);
  };
  const mark = () => {
    const asked = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const node of all) {
      const text = words(node).toLowerCase();
      node.box?.classList.toggle("miss", asked.length > 0 && !asked.every((word) => text.includes(word)));
    }
  };
  const beside = (node, step) => {
    const level = all.filter((one) => one.box && one.depth === node.depth);
    return level[level.indexOf(node) + step];
  };
  const widest = (node) => [...node.children].sort((a, b) => b.threads - a.threads)[0];
  const keys = {
    ArrowDown: () => widest(current), ArrowUp: () => current.parent, Home: () => top,
    ArrowLeft: () => beside(current, -1), ArrowRight: () => beside(current, 1),
  };
  flame.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Enter" || event.key === " ") zoom(current);
    else if (event.key === "Escape") zoom(zoomed.parent ?? top);
    else if (event.key in keys) focus(keys[event.key]() ?? current);
    else return;
    event.preventDefault();
  });

  const show = (drawn) => {
    flame.parentElement.hidden = !drawn;
    tree.hidden = drawn;
    asTree.ariaPressed = String(!drawn);
    asFlame.ariaPressed = String(drawn);
    if (drawn) draw();
  };
  asTree.addEventListener("click", () => show(false));
  asFlame.addEventListener("click", () => show(true));
  filter.addEventListener("input", mark);
  addEventListener("resize", () => flame.parentElement.hidden || draw());
  told.textContent = words(top);
  views.hidden = false;
})();
