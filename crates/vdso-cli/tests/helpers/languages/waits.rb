# Waits of Ruby's own: `waits.rb SECONDS` prints for each whether it was as long as it was to be.
require "timeout"
require "socket"

span = Float(ARGV[0])
now = -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) }
waits = {
  "sleep" => -> { sleep span },
  "timeout" => lambda {
    begin
      Timeout.timeout(span) { sleep }
    rescue Timeout::Error
    end
  },
  "condition" => lambda {
    mutex = Mutex.new
    mutex.synchronize { ConditionVariable.new.wait(mutex, span) }
  },
  "select" => -> { IO.select(nil, nil, nil, span) },
  "wait_readable" => lambda {
    require "io/wait"
    one, _other = UNIXSocket.pair
    one.wait_readable(span)
  },
  "join" => -> { Thread.new { sleep span * 2 }.join(span) },
}
waits.each do |name, wait|
  began = now.call
  wait.call
  puts "#{name} #{now.call - began >= span ? 'waited' : 'early'}"
end
