// Day and night: what the system prefers, or what the reader chose on this page.

import { byId } from "./dom.js";

const CHOICES = ["auto", "light", "dark"];
const MEDIA = { auto: "(prefers-color-scheme: dark)", light: "not all", dark: "all" };
const ICONS = { auto: "auto", light: "sun", dark: "moon" };
const WORDS = {
  auto: "Colours as the system has them",
  light: "Day colours",
  dark: "Night colours",
};

/** Wires the switch; `onChange` is called whenever the colours are others. */
export function theme(onChange) {
  let choice = CHOICES.includes(remembered()) ? remembered() : "auto";
  const apply = () => {
    byId("night").media = MEDIA[choice];
    const next = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
    byId("theme-icon").setAttribute("href", `#i-${ICONS[choice]}`);
    byId("theme").setAttribute("aria-label", `${WORDS[choice]}. Switch to: ${WORDS[next]}`);
    byId("theme").title = WORDS[choice];
    onChange();
  };
  byId("theme").addEventListener("click", () => {
    choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
    remember(choice);
    apply();
  });
  byId("night").addEventListener("load", onChange);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  apply();
}

// A browser may refuse to remember; then the choice lasts as long as the page.
function remembered() {
  try {
    return localStorage.getItem("dunlin-theme");
  } catch {
    return null;
  }
}

function remember(choice) {
  try {
    localStorage.setItem("dunlin-theme", choice);
  } catch {
    return;
  }
}
