"use strict";
// The page is complete without this: it only adds the filter box over the stacks.
(() => {
  const box = document.getElementById("filter");
  if (!box) return;
  const tree = document.querySelector(".tree");
  const items = [...tree.querySelectorAll("li")].map((li) => ({
    li,
    details: li.firstElementChild,
    open: li.firstElementChild.open,
    text: (li.querySelector("summary").textContent + " " + li.querySelector(".fr").textContent).toLowerCase(),
  }));
  const idle = tree.querySelector(".idle");
  const count = document.getElementById("filter-count");
  box.parentElement.hidden = false;
  let timer;
  const apply = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = new Set();
    let hits = 0;
    for (const item of items) {
      if (!words.length || !words.every((word) => item.text.includes(word))) continue;
      hits += 1;
      // A hit shows what leads to it, and all that comes after it.
      for (let at = item.li; at && tree.contains(at); at = at.parentElement.closest("li")) shown.add(at);
      for (const below of item.li.querySelectorAll("li")) shown.add(below);
    }
    for (const item of items) {
      item.li.hidden = words.length > 0 && !shown.has(item.li);
      item.details.open = words.length ? shown.has(item.li) : item.open;
    }
    if (idle) idle.open = words.length > 0 && !!idle.querySelector("li:not([hidden])");
    count.textContent = words.length ? `${hits} ${hits === 1 ? "block" : "blocks"}` : "";
  };
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(apply, 80);
  });
})();
