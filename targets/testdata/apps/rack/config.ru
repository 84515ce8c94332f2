# A Rack page whose cost is set by the environment: CPU_MS and WAIT_MS as of ../flask.

CPU = ENV.fetch("CPU_MS", "0").to_f / 1000
WAIT = ENV.fetch("WAIT_MS", "0").to_f / 1000

def cpu_time
  Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID)
end

run lambda { |_env|
  till = cpu_time + CPU
  x = 1
  50.times { x = (x * 1103515245 + 12345) & 0x7FFFFFFF } while cpu_time < till
  sleep(-Math.log(1 - rand) * WAIT) if WAIT.positive?
  [200, { "Content-Type" => "text/plain", "Content-Length" => "3" }, ["ok\n"]]
}
