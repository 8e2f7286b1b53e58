// Runs before the page is drawn, so that it never shows the other theme first.
(() => {
  const KEY = "fast-dllm.theme";
  const THEMES = ["system", "light", "dark"];
  let theme = localStorage.getItem(KEY);
  if (!THEMES.includes(theme)) theme = "system";
  const apply = () => { document.documentElement.dataset.theme = theme; };
  apply();
  document.addEventListener("DOMContentLoaded", () => {
    const control = document.getElementById("theme");
    control.value = theme;
    control.addEventListener("change", () => {
      theme = control.value;
      localStorage.setItem(KEY, theme);
      apply();
    });
  });
})();
