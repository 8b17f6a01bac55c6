// A classic script: it runs before the first paint, so that a chosen theme does not flash.
(function () {
  try {
    var theme = localStorage.getItem('hallpass-theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch (_) {
    // Storage is shut: the system's theme it is.
  }
})();
