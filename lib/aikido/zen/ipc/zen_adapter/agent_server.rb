# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      module ZenAdapter
        # The parent's side of Zen: a server that has Zen's five methods, and publishes Zen's settings.
        # Its methods can be called here as well as by a worker, with the same JSON values.
        class AgentServer < WorkerProcess::Agent::Server
          # Prepended to `Agent::Server`'s class methods: `Agent::Server.new` makes an {AgentServer} where Zen calls it.
          #
          # @api private
          module Constructor
            # Makes Zen's server if there is a Zen and no option is given, as Zen calls it, or if an option is given
            # that only Zen's server has. Zen's server does all that a generic one does.
            def new(*args, **options)
              return super unless equal?(WorkerProcess::Agent::Server) && AgentServer.zen_options?(options)

              AgentServer.new(*args, **options)
            end
          end

          # A request as Zen's rate limiter needs it.
          Request = Struct.new(:route, :schema, :client_ip, :actor)

          # Options that only Zen's server has.
          ZEN_OPTIONS = %i[config detector].freeze

          # @api private
          def self.zen_options?(options)
            options.empty? ? State.zen? : options.keys.intersect?(ZEN_OPTIONS)
          end

          # Binds and listens, and publishes the contents of Zen's API cache, now and at every update.
          #
          # @param config [Object] Zen's configuration
          # @param detector [Object] Zen's detector of attack waves
          # @param secret [String] at least 32 bytes
          # @param options as of {WorkerProcess::Agent::Server#initialize}
          # @raise [ArgumentError, SystemCallError] as {WorkerProcess::Agent::Server#initialize}
          def initialize(config: Aikido::Zen.config, detector: Aikido::Zen.attack_wave_detector,
                         secret: Aikido::Zen.secret, logger: config.logger, **options)
            super(secret:, logger:, **options)
            @zen_log = Log.new(logger)
            # A closure does not show the secret in `inspect`.
            @is_same_secret = ->(other) { secret == other }
            @detector = detector
            @deduplicator = BatchDeduplicator.new
            @event_stats = { taken: 0, repeated: 0, unreadable: 0, dropped_by_workers: 0 }
            @counting = Mutex.new
            @settings = SettingsPublisher.new(self, Aikido::Zen.api_cache, @zen_log)
            register
            State.add(self)
            publish_settings
          end

          # Starts as the generic server does; after {#stop} it publishes the present contents of the API cache.
          def start
            return false unless super

            State.add(self)
            publish_settings
          end

          # Stops as the generic server does.
          def stop(...)
            stopped = super
            State.remove(self) if stopped
            stopped
          end

          # Publishes the changes of Zen's API cache. The cache's updates call this; code that changes the cache in
          # another way has to call it, too.
          #
          # @return [Boolean] false in a worker, where it does nothing
          def publish_settings
            return false unless owned?

            @settings.publish
            true
          end

          # Settings that have changed since the versions that are known, by the generations of Zen's API cache. Workers
          # of this gem read documents instead.
          #
          # @return [Hash] `"config"` and `"config_generation"`, `"firewall_lists"` and `"firewall_lists_generation"`,
          #   each only if it changed
          def updated_settings(known_config_generation = nil, known_firewall_lists_generation = nil)
            cache = Aikido::Zen.api_cache
            { "config" => cache.config_if_changed(known_config_generation),
              "firewall_lists" => cache.firewall_lists_if_changed(known_firewall_lists_generation) }
              .each_with_object({}) do |(name, (value, generation)), updates|
                # An empty cache answers nil and a generation.
                updates.update(name => value, "#{name}_generation" => generation) unless value.nil?
              end
          end

          # Adds a worker's events to Zen's collector. An event that cannot be read is logged, and the others are added.
          #
          # @param events_data [Array<Hash>]
          # @param batch [Array(String, Integer), nil] the sender and its batch's number; a batch that was taken before
          #   is not taken again
          # @param dropped [Integer] how many events the sender has dropped since its last batch
          # @yield once it is certain that they are taken, and before the work
          # @return [nil]
          def send_collector_events(events_data, batch: nil, dropped: 0)
            is_new = batch.nil? || @deduplicator.first_time?(*batch)
            begin
              yield if block_given?
            ensure
              # They are taken even if the block raised, since they will not be sent again.
              is_new ? take_events(events_data, dropped) : count_events(repeated: events_data.size)
            end
            nil
          end

          # Counts a request.
          #
          # @param route_data [Hash] of `Route#as_json`
          # @param ip [String]
          # @param actor_data [Hash, nil] of `Actor#as_json`
          # @return [Object, nil] `RateLimiter::Result#as_json`, or nil if no limit applies
          def calculate_rate_limits(route_data, ip, actor_data)
            actor = Aikido::Zen::Actor.from_json(actor_data) if actor_data
            request = Request.new(Aikido::Zen::Route.from_json(route_data), nil, ip, actor)
            Aikido::Zen.rate_limiter.calculate_rate_limits(request)&.as_json
          end

          # Counts a request that looks like an attack.
          #
          # @param client_ip [String]
          # @param verb [String]
          # @param path [String]
          # @return [Array, nil] `#as_json` of each sample, or nil if this is no attack wave
          def record_attack_wave(client_ip, verb, path)
            sample = Aikido::Zen::AttackWave::Sample.new(verb:, path:)
            @detector.record(client_ip, sample)&.map(&:as_json)
          end

          # @return [Hash{Symbol => Integer}] the numbers of events that were taken, that came again, that could not be
          #   read, and that workers had to drop
          def event_stats
            @counting.synchronize { @event_stats.dup }
          end

          # Tells whether a client with this secret, at this port, is a client of this server. It authenticates nothing,
          # since the client's process has both.
          #
          # @api private
          def same_credentials?(secret, port)
            self.port == port && @is_same_secret.call(secret)
          end

          private

          # The core answers `ping`.
          def register
            handle("updated_settings") { |respond, *generations| respond.call(updated_settings(*generations)) }
            handle("calculate_rate_limits") { |respond, *args| respond.call(calculate_rate_limits(*args)) }
            handle("record_attack_wave") { |respond, *args| respond.call(record_attack_wave(*args)) }
            handle("send_collector_events") do |respond, events_data, **about|
              send_collector_events(events_data, **about) { respond.call(nil) }
            end
          end

          def take_events(events_data, dropped)
            unreadable = events_data.count { |data| !collect(data) }
            @zen_log.write(:warn, "a worker had to drop #{dropped} events") if dropped.positive?
            count_events(taken: events_data.size - unreadable, unreadable:, dropped_by_workers: dropped)
          end

          def collect(data)
            Aikido::Zen.collector.add_event(Aikido::Zen::Collector::Event.from_json(data))
            true
          rescue StandardError => e
            @zen_log.failure("an event of a worker could not be read", e)
            false
          end

          def count_events(**counts)
            @counting.synchronize { @event_stats.merge!(counts) { |_name, old, more| old + more } }
          end

          WorkerProcess::Agent::Server.singleton_class.prepend(Constructor)
        end
      end
    end
  end
end
