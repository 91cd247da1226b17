/* Search in pages that are opened from disk: browsers start no worker there, so its script runs in a frame. */
;(function () {
  if (location.protocol !== "file:") return

  function FrameWorker(address) {
    var target = new EventTarget()
    var frame = document.createElement("iframe")
    var url = new URL(address, location.href).href
    frame.hidden = true
    document.body.appendChild(frame)
    var inner = frame.contentWindow
    target.ready = new Promise(function (resolve) {
      frame.onload = resolve
    })
    inner.document.open()
    inner.document.write(
      "<!doctype html><html><body><script>" +
        "postMessage = function (data) { parent.postMessage(data, '*') };" +
        "importScripts = function () { return Array.prototype.slice.call(arguments).reduce(function (before, src) {" +
        "return before.then(function () { return new Promise(function (done, failed) {" +
        "var script = document.createElement('script'); script.src = src; script.onload = done;" +
        "script.onerror = failed; document.body.appendChild(script) }) }) }, Promise.resolve()) };" +
        "</scr" + "ipt><script src='" + url + "'></scr" + "ipt></body></html>"
    )
    inner.document.close()
    window.addEventListener("message", function (event) {
      if (event.source !== inner) return
      var message = new MessageEvent("message", { data: event.data })
      target.dispatchEvent(message)
      if (target.onmessage) target.onmessage(message)
    })
    target.postMessage = function (data) {
      target.ready.then(function () {
        inner.dispatchEvent(new MessageEvent("message", { data: data }))
      })
    }
    target.terminate = function () {
      frame.remove()
    }
    return target
  }

  window.Worker = FrameWorker
})()
