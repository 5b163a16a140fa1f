// A classic script, so that the chosen theme stands before the first paint.
"use strict";
{
  const root = document.documentElement;
  const systemDark = matchMedia("(prefers-color-scheme: dark)");

  const current = () => root.dataset.theme || (systemDark.matches ? "dark" : "light");

  const label = (button) => {
    const next = current() === "dark" ? "light" : "dark";
    button.textContent = next === "dark" ? "Dark theme" : "Light theme";
    button.dataset.next = next;
  };

  const saved = localStorage.getItem("weir.theme");
  if (saved === "light" || saved === "dark") root.dataset.theme = saved;

  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    label(button);
    systemDark.addEventListener("change", () => label(button));
    button.addEventListener("click", () => {
      root.dataset.theme = button.dataset.next;
      localStorage.setItem("weir.theme", button.dataset.next);
      label(button);
    });
  });
}
