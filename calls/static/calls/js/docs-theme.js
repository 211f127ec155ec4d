// Dark mode of Swagger UI, which follows a class and not the system. No module: it runs before the
// first paint.

{
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", apply);
  apply();
}
