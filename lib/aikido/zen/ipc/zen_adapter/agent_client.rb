# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      module ZenAdapter
        # A worker's side of Zen: a client with Zen's operations, which applies settings and sends events by itself. Its
        # only threads are those of the scheduler that it is given.
        class AgentClient < WorkerProcess::Agent::Client
          # Prepended to `Agent::Client`'s class methods: `Agent::Client.new` makes an {AgentClient} where Zen calls it.
          #
          # @api private
          module Constructor
            # Makes Zen's client if there is no secret, if it is Zen's own, or if an option is given that only Zen's
            # client has. Zen's client does all that a generic one does.
            def new(*args, **options)
              return super unless equal?(WorkerProcess::Agent::Client) && AgentClient.zen_options?(options)

              AgentClient.new(*args, **options)
            end
          end

          # Options that only Zen's client has.
          ZEN_OPTIONS = %i[
            config worker keepalive_worker polling_interval polling_jitter heartbeat_interval collector
            call_timeout delivery_timeout
          ].freeze

          # Seconds that a request waits for its rate limit, or for the answer to its sample of an attack wave: ten
          # thousand times the duration of a call, and short enough that a parent that hangs does not look like an
          # outage.
          CALL_TIMEOUT = 1.0

          # Seconds for sending events, also at the exit, where the wait for a delivery that runs already is included.
          # Web servers give their workers many times as long to end.
          DELIVERY_TIMEOUT = 2.0

          # @return [Object] Zen's collector, from which events are sent
          attr_reader :collector

          # @api private
          def self.zen_options?(options)
            return true if options.keys.intersect?(ZEN_OPTIONS)
            return false unless State.zen?

            secret = options.fetch(:secret) { return true }
            secret.is_a?(String) && secret == Aikido::Zen.secret
          end

          # Makes a client without connecting. Times are seconds.
          #
          # @param host [String]
          # @param port [Integer]
          # @param secret [String, Secret] the server's
          # @param config [Object] Zen's configuration
          # @param worker [Object, nil] a scheduler, which this client shuts down when it is stopped; nil makes one
          # @param keepalive_worker [Object, nil] gets no work and is shut down as well, as no connection has to be kept
          #   alive
          # @param polling_interval [Numeric] after which changed settings are applied where there are no requests
          # @param polling_jitter [Numeric] of which a random part is added, so that not all workers poll at the same
          #   time
          # @param heartbeat_interval [Numeric] after which events are sent
          # @param collector [Object] Zen's collector
          # @param call_timeout [Numeric] for a rate limit, or a sample of an attack wave
          # @param delivery_timeout [Numeric] for sending events, also at the exit
          # @param options as of {WorkerProcess::Agent::Client#initialize}
          def initialize(host, port, secret: Aikido::Zen.secret, config: Aikido::Zen.config, worker: nil,
                         keepalive_worker: nil, polling_interval: config.worker_process_polling_interval,
                         polling_jitter: config.worker_process_polling_jitter,
                         heartbeat_interval: config.worker_process_heartbeat_interval,
                         collector: Aikido::Zen.collector, call_timeout: CALL_TIMEOUT,
                         delivery_timeout: DELIVERY_TIMEOUT, logger: config.logger, **options)
            secret = State.shared_secret(secret, port)
            super(host, port, secret:, logger:, **options)
            @config = config
            @worker = worker
            @schedulers = [worker, keepalive_worker].compact
            @polling_interval = polling_interval + (rand * polling_jitter)
            @heartbeat_interval = heartbeat_interval
            @collector = collector
            @call_timeout = Argument.seconds("call_timeout", call_timeout)
            @delivery_timeout = Argument.seconds("delivery_timeout", delivery_timeout)
            @zen_log = Log.new(logger)
            # Only the server's own `Secret` comes with the shared page by which a request sees changes.
            @shares_page = secret.is_a?(Secret)
            @settings = SettingsApplier.new(self, @zen_log)
            @events = EventDelivery.new(self, collector, @zen_log)
            @tracker = ForkTracker.new
            @is_started = @is_closed = @has_scheduled = false
          end

          # Applies the present settings, and schedules applying them and sending events. If the parent cannot be
          # reached this is logged, and tried again at the next use.
          #
          # @return [Boolean] false if it was started before, in this process
          # @raise [ClosedError] if it was stopped or closed
          def start
            raise ClosedError, "this client was closed" if @is_closed

            is_new_process = @tracker.forked?
            return false if @is_started && !is_new_process

            State.drop_inherited_events
            @is_started = true
            State.client = self
            apply_settings
            schedule
            true
          end

          # Sends the events that are left, within `delivery_timeout`, and closes.
          #
          # @return [Boolean] false the second time
          def stop
            send_last_events if @is_started
            close
          end

          # Ends its scheduled work and closes the connections. The events in the collector stay there.
          #
          # @return [Boolean] false the second time
          def close
            was_started = @is_started
            @is_started = false
            @is_closed = true
            State.forget(self)
            shut_down_schedulers if was_started
            super
          end

          # Applies settings that the parent has changed. While there is no change it costs some atomic loads.
          #
          # @return [void]
          def apply_settings
            @settings.apply
          end

          # Called at the beginning of a request.
          #
          # @api private
          def before_request
            apply_settings if @is_started && @shares_page
          end

          # Schedules its work again in a process that was forked from one where it was started.
          #
          # @api private
          def reschedule_after_fork
            schedule if @is_started && @tracker.forked?
          end

          # Sends the collector's events.
          # @return [Boolean] false if some are left, which are in the collector again or will be sent again
          def send_collector_events
            return false if @is_closed

            @events.deliver(@delivery_timeout)
          end

          # @return [Integer] events that were dropped, because there were too many or they had no form in JSON
          def dropped_events
            @events.dropped_ever
          end

          # Asks the parent about a request, within `call_timeout`.
          #
          # @param request [Object] answers `route`, `client_ip`, `actor`
          # @return [Aikido::Zen::RateLimiter::Result, nil] nil if no limit applies
          # @raise [StandardError] the failure, which is logged: the caller's own limiter serves then
          def calculate_rate_limits(request)
            result = invoke("calculate_rate_limits", @call_timeout,
                            request.route.as_json, request.client_ip, request.actor&.as_json)
            result && Aikido::Zen::RateLimiter::Result.from_json(result)
          rescue StandardError => e
            raise logged("the rate limit could not be calculated", e)
          end

          # Tells the parent of a request that looks like an attack, within `call_timeout`.
          #
          # @param client_ip [String]
          # @param sample [Aikido::Zen::AttackWave::Sample]
          # @return [Array<Aikido::Zen::AttackWave::Sample>, nil] nil if this is no attack wave
          # @raise [StandardError] as {#calculate_rate_limits}
          def record_attack_wave(client_ip, sample)
            samples = invoke("record_attack_wave", @call_timeout, client_ip, sample.verb, sample.path)
            samples&.map { |data| Aikido::Zen::AttackWave::Sample.from_json(data) }
          rescue StandardError => e
            raise logged("the attack wave could not be recorded", e)
          end

          # @api private
          def adopt_after_daemon
            @events.adopt_after_daemon
          end

          private

          def schedule
            forget_schedulers if @has_scheduled
            @has_scheduled = true
            @schedulers << (@worker = Aikido::Zen::Worker.new(config: @config)) unless @worker
            every(@polling_interval) { apply_settings }
            every(@heartbeat_interval) { send_collector_events }
          end

          # The client is closed even if the collector fails.
          def send_last_events
            send_collector_events
          rescue StandardError => e
            logged("the last events could not be sent", e)
          end

          # The schedulers of the process that this one was forked from have no threads here.
          def forget_schedulers
            @worker = nil
            @schedulers = []
          end

          def every(seconds)
            @worker.every(seconds, run_now: false) do
              yield if @is_started
            rescue StandardError => e
              logged("scheduled work failed", e)
            end
          end

          def shut_down_schedulers
            @schedulers.each(&:shutdown) unless @tracker.forked?
          end

          def logged(what, error)
            @zen_log.failure(what, error)
            error
          end

          WorkerProcess::Agent::Client.singleton_class.prepend(Constructor)
        end
      end
    end
  end
end
