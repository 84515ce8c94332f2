# A Rack page that tells the same as seen.py beside it.

LOADED_BY = Process.pid
LOCK = Mutex.new
CAME = ConditionVariable.new
$now = $most = 0

def clock = Process.clock_gettime(Process::CLOCK_MONOTONIC)

run lambda { |env|
  together = [env["PATH_INFO"].delete("/").to_i, 1].max
  patience = clock + 10
  LOCK.synchronize do
    $now += 1
    $most = [$most, $now].max
    CAME.broadcast
    CAME.wait(LOCK, 1) while $most < together && clock < patience
  end
  sleep 0.05 # time for one too many
  LOCK.synchronize { $now -= 1 }
  text = "#{LOADED_BY} #{Process.pid} #{$most}"
  [200, { "Content-Type" => "text/plain", "Content-Length" => text.bytesize.to_s }, [text]]
}
